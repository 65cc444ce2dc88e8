export default async function Page({ params }: { params: { id: string } }) {
  const parcel = await fetchParcel(params.id);
  if (!parcel) {
    return <p>There is no such parcel.</p>;
  }
  return <h1>{parcel.name}</h1>;
}
